"""What the displays share."""


def import_pyplot(display):
    """matplotlib.pyplot, or an ImportError that says what to install."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib; install it with "
            "`pip install matplotlib`"
        ) from error
    return pyplot
