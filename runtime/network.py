"""Finds the network interface of an address. Standard library only, Python 3.9 or later, like `launch.py`."""

import ipaddress
import socket
import struct

SIOCGIFCONF = 0x8912  # netdevice(7)
# `struct ifreq` of 64-bit Linux: a name of 16 bytes, then a `sockaddr_in` with the address at its byte 4.
REQUEST_BYTES, NAME_BYTES, ADDRESS_AT = 40, 16, 20


def interface_of(address):
    """The interface's name; None if no interface has the address, or the system is not Linux."""
    try:
        wanted = ipaddress.ip_address(address)
        if wanted.is_loopback:
            return "lo"
        pairs = of_version_4() if wanted.version == 4 else of_version_6()
        return next((name for name, found in pairs if found == wanted), None)
    except (ImportError, OSError, ValueError):
        return None


def addresses():
    """All addresses of this machine's interfaces; none if the system does not tell."""
    found = []
    for pairs in (of_version_4, of_version_6):
        try:
            found += [str(address) for _, address in pairs()]
        except (ImportError, OSError, ValueError):
            pass
    return found


def of_version_4():
    """(interface, address) of every address, including secondary ones, which SIOCGIFADDR does not return."""
    import array
    import fcntl

    room = 64 * REQUEST_BYTES
    while True:
        buffer = array.array("B", bytes(room))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            answer = fcntl.ioctl(asked, SIOCGIFCONF, struct.pack("iL", room, buffer.buffer_info()[0]))
        used = struct.unpack("iL", answer)[0]
        if used < room:
            break
        room *= 2
    data = buffer.tobytes()
    for start in range(0, used, REQUEST_BYTES):
        label = data[start : start + NAME_BYTES].split(b"\0")[0].decode()
        # A secondary address may have a label: `eth0:1`.
        yield label.partition(":")[0], ipaddress.ip_address(data[start + ADDRESS_AT : start + ADDRESS_AT + 4])


def of_version_6():
    with open("/proc/net/if_inet6", encoding="ascii") as file:
        for line in file:
            digits, *_, name = line.split()
            yield name, ipaddress.IPv6Address(int(digits, 16))
