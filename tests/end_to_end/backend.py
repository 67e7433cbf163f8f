"""A backend's heartbeat: ``backend.py OWN_ADDRESS PEER``, a datagram now and then from the one to the other."""

import socket
import sys
import time

sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind((sys.argv[1], 0))
while True:
    sender.sendto(b"alive", (sys.argv[2], 9))
    time.sleep(0.1)
