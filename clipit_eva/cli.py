"""The `clipit-eva` command."""


def main() -> int:
    """Runs the command line."""
    raise NotImplementedError
