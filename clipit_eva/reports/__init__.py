"""Reports: reading a corpus, cleaning, chunking, fingerprint."""
