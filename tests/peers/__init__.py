"""Real telephone programs as peers: sipp, baresip and kamailio, on loopback."""
