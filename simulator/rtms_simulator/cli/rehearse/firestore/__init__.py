"""What Google does for the records that the emulator does not: refuse a query without an index, remove what has expired. Firestore only.

Both work from what the program registered.
"""
