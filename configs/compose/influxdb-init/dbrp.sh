#!/bin/sh
# Run once by the image of InfluxDB, after its setup: InfluxQL, which the dashboards speak, asks for databases and
# retention policies, so the bucket gets the name of one.
set -eu
influx v1 dbrp create --db "$DOCKER_INFLUXDB_INIT_BUCKET" --rp autogen --default \
  --bucket-id "$DOCKER_INFLUXDB_INIT_BUCKET_ID"
