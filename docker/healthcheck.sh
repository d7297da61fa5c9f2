#!/bin/sh
# Healthy: our own receiver answers C-ECHO.
exec dicom-node echo --self
