"""The main job on a shop's data, against the emulator: `octopus-soap demo`.

`retail` reads and sorts the lines of a file and makes items and orders of them, `run` drives the steps through the
public client, `compare` compares the service's final state with the input. Without a file, `small_shop` is the data.
"""
