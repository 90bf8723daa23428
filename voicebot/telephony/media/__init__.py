"""Audio over RTP: descriptions, packets, codecs, ports."""
