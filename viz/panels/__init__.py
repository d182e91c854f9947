"""The page: the specimen, the lenses, each a file or a folder, and what puts them into a browser."""
