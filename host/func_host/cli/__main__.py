"""`python -m func_host.cli` is `func-host`."""

from func_host.cli.entry import run_as_module

if __name__ == "__main__":
    run_as_module()
