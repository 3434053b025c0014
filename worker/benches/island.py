"""A network of its own for some workers of this machine, joined to it by one cable. Needs root, `ip` and `iptables`."""

import os
import subprocess


class Island:
    """The network; goes away when it is left."""

    def __init__(self):
        number = os.getpid()
        self.name, self.cable = f"concentric-{number}", f"cb{number}"
        subnet = f"10.{64 + number % 64}.{number % 250}"
        # Of this machine, seen from there.
        self.mainland, self.own = f"{subnet}.1", f"{subnet}.2"

    def __enter__(self):
        end = f"ce{os.getpid()}"
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self.cable, "type", "veth", "peer", "name", end, "netns", self.name)
            ip("addr", "add", f"{self.mainland}/24", "dev", self.cable)
            ip("link", "set", self.cable, "up")
            ip("-n", self.name, "addr", "add", f"{self.own}/24", "dev", end)
            ip("-n", self.name, "link", "set", "lo", "up")
            ip("-n", self.name, "link", "set", end, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # The network alone would keep the cable for a while.
        subprocess.run(["ip", "link", "del", self.cable], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)

    def program(self, *command):
        """The command line of a program that sees this network alone."""
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def wall_off_but(self, port):
        """Drops everything but what goes to and comes from this port of the mainland."""
        self._filter("-I", port)

    def open_but(self, port):
        """Lets everything through again."""
        self._filter("-D", port)

    def _filter(self, change, port):
        for chain, end in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            rule = [change, chain, "-p", "tcp", "!", end, port, "-j", "DROP"]
            subprocess.run(self.program("iptables", *rule), check=True)


def ip(*arguments):
    subprocess.run(["ip", *map(str, arguments)], check=True)
