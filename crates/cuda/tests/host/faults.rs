//! Each check is checked: deliberate mistakes in the kernels do not get through.
