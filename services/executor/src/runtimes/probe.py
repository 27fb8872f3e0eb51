"""Asks an interpreter what it is; run as `python -I -S -c`, so that nothing of its site-packages is executed."""

import json
import os
import site
import sys
import sysconfig

library = None
if sysconfig.get_config_var("Py_ENABLE_SHARED"):
    library = os.path.join(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")

site_packages = [path for path in site.getsitepackages([sys.base_prefix]) if os.path.isdir(path)]

print(json.dumps({
    "implementation": sys.implementation.name + getattr(sys, "abiflags", "").replace("m", ""),
    "version": [sys.version_info.major, sys.version_info.minor, sys.version_info.micro],
    "final": sys.version_info.releaselevel == "final",
    "executable": os.path.realpath(sys.executable),
    "prefix": os.path.realpath(sys.base_prefix),
    "virtual": sys.prefix != sys.base_prefix,
    "library": library if library and os.path.isfile(library) else None,
    "site_packages": site_packages,
    "pip": any(os.path.isdir(os.path.join(path, "pip")) for path in site_packages),
}))
