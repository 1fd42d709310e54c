#!/usr/bin/env python3
"""Two hosts on one machine, joined by a slow link, to see what crosses it and what that costs. Linux, as root.

    link.py MBIT MILLISECONDS

makes the network namespaces h1 (10.9.0.1) and h2 (10.9.0.2) and carries what they send one another: so many megabits a second in either
direction, each packet so many milliseconds later. SIGUSR1 prints the bytes carried so far from h1 and from h2; SIGTERM ends it.
"""
import ctypes
import fcntl
import heapq
import os
import select
import signal
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001

bits, delay = float(sys.argv[1]) * 1e6, float(sys.argv[2]) / 1e3
libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(namespace):
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        sys.exit("can't enter a network namespace: this needs root")


def end_of_link(host, address):
    """The near end of a host's network device: what the host sends is read from it."""
    subprocess.run(["ip", "netns", "add", host], check=True)
    enter(os.open(f"/var/run/netns/{host}", os.O_RDONLY))
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", b"link0", IFF_TUN_NO_PI))
    for command in (f"addr add {address}/24 dev link0", "link set link0 up txqueuelen 2000", "link set lo up"):
        subprocess.run(["ip", *command.split()], check=True)
    enter(home)
    return device


ends = [end_of_link("h1", "10.9.0.1"), end_of_link("h2", "10.9.0.2")]
carried = [0, 0]


def report(*_):
    print(*carried, flush=True)


def stop(*_):
    for host in ("h1", "h2"):
        subprocess.run(["ip", "netns", "del", host])
    os._exit(0)


signal.signal(signal.SIGUSR1, report)
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
free, under_way, count = [0.0, 0.0], [], 0
while True:
    wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
    for device in select.select(ends, [], [], wait)[0]:
        way, now = ends.index(device), time.monotonic()
        try:
            while True:
                packet = os.read(device, 65536)
                carried[way] += len(packet)
                count += 1
                # A packet leaves behind the one before it, and arrives a delay later.
                free[way] = max(now, free[way]) + len(packet) * 8 / bits
                heapq.heappush(under_way, (free[way] + delay, count, 1 - way, packet))
        except BlockingIOError:
            pass
    while under_way and under_way[0][0] <= time.monotonic():
        _, _, to, packet = heapq.heappop(under_way)
        try:
            os.write(ends[to], packet)
        except OSError:
            pass
