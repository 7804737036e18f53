"""The one exception that a user of the commands is meant to see."""


class UserError(Exception):
    """A mistake that its user can mend; the message says what is wrong and what to do.

    The commands print the message alone, without a stack trace, and exit with `status`.
    """

    status = 2
