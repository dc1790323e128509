"""What A1111 and Forge load of this repository; everything else is in a1111_ext.webui."""
# The host has this folder on sys.path only while this file is loaded. Modules of a package are
# found through the package later on, so the packages themselves are imported here and now.

import importlib

for package in ("dynprompts", "kohya_ext", "a1111_ext"):
    importlib.import_module(package)

from a1111_ext.webui.door import open_door  # noqa: E402  # the packages come first

for script in open_door():  # the host looks for script classes among this file's names
    globals()[script.__name__] = script
