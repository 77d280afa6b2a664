"""Config spellings: what other writers call the fields of config.json, one file per writer."""
