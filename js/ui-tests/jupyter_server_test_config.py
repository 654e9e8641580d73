"""The JupyterLab server of the browser tests: no token and no protection, so never any other's."""

from __future__ import annotations

import os
from typing import Any

from jupyterlab.galata import configure_jupyter_server

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821  (Jupyter puts it there)

configure_jupyter_server(c)
c.ServerApp.ip = "127.0.0.1"
c.ServerApp.port = int(os.environ.get("PAODING_TEST_PORT", "8899"))
c.ServerApp.allow_root = True  # containers run the tests as root
c.Application.log_level = "ERROR"  # Galata asks for what is not there yet, on purpose
