"""`python -m retrograd.cli`, where the `retrograd` script is not on the path."""

from retrograd.cli import main

raise SystemExit(main())
