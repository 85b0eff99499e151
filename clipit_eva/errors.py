"""The error for mistakes that the user can put right."""


class InputError(ValueError):
    """A user's mistake: the message is one line that names the file or field and what to do.

    Entry points (`clipit-eva`, and `eva` once a `clipit_eva` class is in its config) print the
    message without a traceback and exit with status 2.
    """

    def __init__(self, message: str) -> None:
        if message.startswith("Caught InputError in "):
            # A data loader's worker raised it: torch makes it anew, with the traceback's text.
            message = message.rpartition("InputError: ")[2]
        # Library messages that get quoted may span lines; the promise is a single one.
        super().__init__(" ".join(message.split()))
