#!/usr/bin/env python3
"""Listens to this machine's loopback interface, as somebody between the nodes would: ``listener.py ADDRESSES
NEEDLES`` (each a JSON list; needles are hexadecimal).

Prints a line when it listens. When its standard input ends, it prints JSON: the ports on which each needle
was seen in the clear ({needle: [port]}), and how many packets with content it saw by port and by
"address:port". A connection counts for both its ends. Linux, root.
"""

import collections
import json
import select
import socket
import sys

ETH_P_IP = 0x0800
IP_BYTES = 14  # after Ethernet's header, which loopback has too


def packets(addresses):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP)) as tap:
        tap.bind(("lo", 0))
        tap.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        print("listening", flush=True)
        while True:
            ready, _, _ = select.select([tap, sys.stdin], [], [])
            if tap in ready:
                packet = tap.recv(1 << 17)[IP_BYTES:]
                header = (packet[0] & 15) * 4
                hosts = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
                if packet[9] != socket.IPPROTO_TCP or not addresses.intersection(hosts):
                    continue
                segment = packet[header:]
                ports = int.from_bytes(segment[:2], "big"), int.from_bytes(segment[2:4], "big")
                yield hosts, ports, segment[(segment[12] >> 4) * 4 :]
            elif not sys.stdin.buffer.read1():
                return


def main():
    addresses, needles = set(json.loads(sys.argv[1])), [bytes.fromhex(one) for one in json.loads(sys.argv[2])]
    seen, counted = collections.defaultdict(set), collections.Counter()
    for hosts, ports, content in packets(addresses):
        if not content:
            continue
        counted.update(ports)
        counted.update("%s:%d" % end for end in zip(hosts, ports))
        for needle in needles:
            if needle in content:
                seen[needle.hex()].update(ports)
    print(json.dumps({"seen": {one: sorted(ports) for one, ports in seen.items()}, "packets": counted}))


if __name__ == "__main__":
    main()
