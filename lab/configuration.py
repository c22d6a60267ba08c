# SPDX-License-Identifier: GPL-2.0-or-later
"""The switch's configuration file, made of Python's values.

The uplink's part is a dictionary, and may be kept as JSON::

    {"uplink": {"resolvers": ["192.0.2.53"]},       keys of the section
     "limits": {"max_circuits": 100},               of the top level
     "vms": {"vm2": {"source": "routed"}},          of vm sections
     "publish": ["192.0.2.254:80 -> vm1:80"],
     "proxies": {"tor": {"address": "192.0.2.9:1080"}},
     "rules": {"web": {"action": "allow", "direction": "out",
                       "ports": ["80", "443"]}}}
"""

from lab import outside

# The host's own processes among the VMs, see vmcircuitd.conf(5).
ENDPOINT = "host"
ENDPOINT_ADDRESSES = ("10.77.0.250", "fd77::fa")


def uplink_of(wanted):
    """An uplink's settings: none for False, and what is not said added."""
    if not wanted:
        return None
    settings = {} if wanted is True else dict(wanted)
    settings["uplink"] = {
        "resolvers": list(outside.RESOLVERS),
        "host_addresses": list(outside.HOST_FOR_GUESTS),
        **settings.get("uplink", {})}
    return settings


class Configuration:
    """Collects lines, a section on each; text() gives the file."""

    def __init__(self):
        self.lines = []

    def set(self, values):
        self.lines += settings(values)

    def section(self, kind, title, values):
        name = kind if title is None else f"{kind} {quoted(title)}"
        self.lines.append(f"{name} {{ {'  '.join(settings(values))} }}")

    def sections(self, kind, several):
        for title, values in several.items():
            self.section(kind, title, values)

    def text(self):
        return "".join(f"{line}\n" for line in self.lines)


def settings(values):
    return [f"{key} = {written(value)}" for key, value in values.items()]


def quoted(text):
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def written(value):
    """A value as libconfuse reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"{{ {', '.join(quoted(item) for item in value)} }}"
    return quoted(value)


def write(control, endpoint, vms, network, uplink):
    """The whole file, for these VMs (see lab.vm.VM) and the host's socket."""
    uplink = uplink or {}
    config = Configuration()
    config.set({"control": control, **uplink.get("limits", {})})
    if "uplink" in uplink:
        config.section("uplink", None, uplink["uplink"])
    for vm in vms:
        v4, v6 = vm.circuit_addresses
        config.section("vm", vm.name, {
            "socket": vm.path("sock"), "addresses": [f"{v4}/24", f"{v6}/64"],
            "network": network, **uplink.get("vms", {}).get(vm.name, {})})
    v4, v6 = ENDPOINT_ADDRESSES
    config.section("endpoint", ENDPOINT, {
        "socket": endpoint, "addresses": [f"{v4}/24", f"{v6}/64"],
        "network": network, **uplink.get("endpoint", {})})
    if uplink.get("publish"):
        config.set({"publish": uplink["publish"]})
    config.sections("proxy", uplink.get("proxies", {}))
    config.sections("rule", uplink.get("rules", {}))
    return config.text()
