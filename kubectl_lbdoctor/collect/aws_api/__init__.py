"""The way to AWS: as whom and where it is asked, at what pace, and what botocore has to know for that."""
