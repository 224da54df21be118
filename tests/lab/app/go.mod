module lbdlab/app

go 1.24
