"""How each kind of object looks: in JSON, as plain text, as columns. Pure functions of rows."""
