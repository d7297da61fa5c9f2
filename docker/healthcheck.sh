#!/bin/sh
# Healthy means: our own receiver answers a C-ECHO.
exec dicom-node echo --self
