"""``python -m paoding.cli`` is the command ``paoding``."""

from paoding.cli import main

if __name__ == "__main__":
    main()
