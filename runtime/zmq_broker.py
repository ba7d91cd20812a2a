#!/usr/bin/env python3
"""Broker for KV events in deployments without NATS: ``zmq_broker.py <address> <port for publishers> <port for
subscribers>``.

Without a broker every Dynamo process listens on random ports of all addresses (`tcp://0.0.0.0:0` in Dynamo's
event plane, not configurable). With one (`DYN_ZMQ_BROKER_URL`) they do not listen, and only connect to these
two.

Needs pyzmq, which every engine includes.
"""

import signal
import sys

import zmq


def main():
    if len(sys.argv) != 4:
        print("usage: zmq_broker.py <address> <port for publishers> <port for subscribers>", flush=True)
        return 64
    address, publishers, subscribers = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    context = zmq.Context()
    incoming = context.socket(zmq.XSUB)
    outgoing = context.socket(zmq.XPUB)
    for receiving in (incoming, outgoing):
        # As in Dynamo: a burst of events must not be dropped, or the router would count evicted blocks.
        receiving.set_hwm(100_000)
        receiving.setsockopt(zmq.LINGER, 0)
    try:
        incoming.bind("tcp://%s:%s" % (address, publishers))
        outgoing.bind("tcp://%s:%s" % (address, subscribers))
    except zmq.ZMQError as error:
        print("cannot listen on %s:%s and %s: %s" % (address, publishers, subscribers, error), flush=True)
        return 1
    print("carrying events from %s:%s to %s" % (address, publishers, subscribers), flush=True)
    zmq.proxy(incoming, outgoing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
