"""The command `func-host`: a module per command, whose heavy imports wait until it runs."""
