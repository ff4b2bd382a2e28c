/** The files of a new project: small, and it builds at once. Pure. */

/** Path relative to the project's folder, `/` as separator → content. @param project its name, as config.yaml has it. */
export function newProjectFiles(project: string): ReadonlyMap<string, string> {
  return new Map([
    ['config.yaml', configYaml(project)],
    ['.gitignore', GITIGNORE],
    ['README.md', readme(project)],
    ['seeds/rides.csv', RIDES_CSV],
    ['models/raw_rides.sql', RAW_RIDES],
    ['models/rides.sql', RIDES],
    ['models/daily_rides.sql', DAILY_RIDES],
    ['models/stations.sql', STATIONS],
    ['audits/not_negative.sql', NOT_NEGATIVE],
    ['tests/test_rides.yaml', TEST_RIDES],
  ])
}

function configYaml(project: string): string {
  // A JSON string is a YAML string too: any name is written safely.
  return `project: ${JSON.stringify(project)}
gateways:
  local:
    connection: { type: duckdb, database: warehouse.duckdb }
default_gateway: local
model_defaults: { dialect: duckdb, start: 2025-01-01, cron: '@daily' }
variables:
  long_ride_minutes: 45
`
}

const GITIGNORE = `.millrace/
*.duckdb*
.env
`

function readme(project: string): string {
  return `# ${project.replaceAll(/\s+/g, ' ')}

A Millrace project: each file in \`models/\` is one query with a header that says how its table is kept.

- \`seeds/rides.csv\`: rides of a bike rental, as they were recorded
- \`models/raw_rides.sql\` (SEED): the CSV file as a table
- \`models/rides.sql\` (VIEW): the rides with day and length
- \`models/daily_rides.sql\` (INCREMENTAL_BY_TIME_RANGE): one row per day, only missing days are built
- \`models/stations.sql\` (FULL): one row per station
- \`audits/not_negative.sql\`: an audit of the project's own, called in the headers
- \`tests/test_rides.yaml\`: a unit test of a model; \`millrace test\` runs it

In this folder, \`millrace graph\` shows what reads what, \`millrace build\` builds it into \`warehouse.duckdb\`, and a second
\`millrace build\` finds nothing to do. \`millrace doctor\` says what is missing on this machine. In a checkout of Millrace
the same verbs are \`npx tsx client.ts build FOLDER\` and so on.
`
}

const RIDES_CSV = `ride_id,started_at,ended_at,station,member
1,2025-01-01 07:52:00,2025-01-01 08:10:00,Harbour,true
2,2025-01-01 09:15:00,2025-01-01 10:31:00,Old Town,false
3,2025-01-01 17:40:00,2025-01-01 17:58:00,University,true
4,2025-01-02 08:01:00,2025-01-02 08:20:00,Harbour,true
5,2025-01-02 12:30:00,2025-01-02 13:22:00,Old Town,false
6,2025-01-03 08:05:00,2025-01-03 08:21:00,University,true
7,2025-01-03 16:45:00,2025-01-03 17:03:00,Harbour,true
8,2025-01-03 18:10:00,2025-01-03 18:36:00,Old Town,true
9,2025-01-04 10:20:00,2025-01-04 12:05:00,Harbour,false
10,2025-01-04 11:00:00,2025-01-04 11:48:00,Old Town,false
11,2025-01-05 14:12:00,2025-01-05 14:40:00,University,false
12,2025-01-05 15:30:00,2025-01-05 16:29:00,Harbour,false
`

const RAW_RIDES = `-- The rides as they were recorded.
MODEL (
  name bikes.raw_rides,
  kind SEED (path '../seeds/rides.csv'),
  columns (
    ride_id INT,
    started_at TIMESTAMP,
    ended_at TIMESTAMP,
    station TEXT,
    member BOOLEAN
  ),
  grain ride_id,
  audits (
    unique_values(columns := (ride_id)),
    not_null(columns := (started_at, ended_at, station))
  )
);
`

const RIDES = `-- How long was each ride?
MODEL (
  name bikes.rides,
  kind VIEW,
  grain ride_id,
  audits (
    not_negative(column := minutes)
  )
);

SELECT
  ride_id,
  CAST(started_at AS DATE) AS ride_date,
  station,
  member,
  date_diff('minute', started_at, ended_at) AS minutes,
  minutes >= @long_ride_minutes AS is_long
FROM bikes.raw_rides
`

const DAILY_RIDES = `-- How many rides were there each day? A build computes only the days that are missing.
-- Without the end it would go on: every day becomes due once it is over.
MODEL (
  name bikes.daily_rides,
  kind INCREMENTAL_BY_TIME_RANGE (time_column ride_date),
  start '2025-01-01',
  end '2025-01-05',
  grain ride_date,
  audits (
    unique_values(columns := (ride_date))
  )
);

SELECT
  ride_date,
  COUNT(*) AS rides,
  CAST(SUM(minutes) AS BIGINT) AS minutes
FROM bikes.rides
WHERE ride_date BETWEEN @start_date AND @end_date
GROUP BY ride_date
`

const STATIONS = `-- Which stations are used, and by whom?
MODEL (
  name bikes.stations,
  kind FULL,
  grain station,
  audits (
    unique_values(columns := (station)),
    number_of_rows(threshold := 0)
  )
);

SELECT
  station,
  COUNT(*) AS rides,
  COUNT(*) FILTER (WHERE member) AS member_rides,
  COUNT(*) FILTER (WHERE is_long) AS long_rides
FROM bikes.rides
GROUP BY station
ORDER BY rides DESC, station
`

const NOT_NEGATIVE = `-- An audit is a query that returns bad rows. This one is called as not_negative(column := minutes).
AUDIT (
  name not_negative
);

SELECT *
FROM @this_model
WHERE @column < 0;
`

const TEST_RIDES = `# A unit test: rows in, rows out. It runs in memory; columns that are left out are NULL.
test_long_rides:
  model: bikes.rides
  inputs:
    bikes.raw_rides:
      - { ride_id: 1, started_at: 2025-01-01 23:50:00, ended_at: 2025-01-02 00:10:00 }
      - { ride_id: 2, started_at: 2025-01-02 10:00:00, ended_at: 2025-01-02 10:45:00 }
  outputs:
    partial: true
    query:
      - { ride_id: 1, ride_date: 2025-01-01, minutes: 20, is_long: false }
      - { ride_id: 2, ride_date: 2025-01-02, minutes: 45, is_long: true }
`
