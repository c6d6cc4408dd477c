"""What a run is: configuration, lifecycle, errors. Pure: no I/O, no clocks of its own."""
