"""The main job on a shop's data, against the embedded service: `octopus-soap demo`.

`retail` reads and sorts the lines of a file, `shop` makes items and orders of them, `run` drives the steps through the
public client, `compare` holds the service's final state against the input. `small_shop` is the data when no file is
given.
"""
