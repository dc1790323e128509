"""What A1111 and Forge load of this repository; everything else is in a1111_ext.webui."""
# The host has this folder on sys.path only while this file is loaded. Modules of a package are
# found through the package later on, so the packages themselves are imported here and now.

import importlib

for package in ("dynprompts", "kohya_ext", "a1111_ext"):
    importlib.import_module(package)

from a1111_ext.webui.extension import load_extension  # noqa: E402  # the packages come first

# The host takes every script class among this file's names, once for each name: no loop variable.
globals().update({made.__name__: made for made in load_extension()})
