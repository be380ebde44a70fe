"""Long tests, each a program such as ``python -m reliability.fuzz``: bad commands, damaged files, many clients, stalls.

They share the servers and the protocol client of the integration tests, which lie beside this package.
"""

import sys
from pathlib import Path

_INTEGRATION = str(Path(__file__).resolve().parents[1] / "integration")
if _INTEGRATION not in sys.path:
    sys.path.append(_INTEGRATION)
