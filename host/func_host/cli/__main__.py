"""`python -m func_host.cli` is `func-host`."""

from func_host.cli.group import main

if __name__ == "__main__":
    main(prog_name="func-host")
