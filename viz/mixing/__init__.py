"""Who talks to whom?"""
