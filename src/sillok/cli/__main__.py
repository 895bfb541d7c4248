"""`python -m sillok.cli` is `sillok`."""

from sillok.cli import main

main()
