-- What people call the hours of a day; both ends of a range are inclusive.
MODEL (
  name staging.day_parts,
  kind SEED (path '../../seeds/day_parts.csv'),
  columns (from_hour INT, to_hour INT, day_part TEXT),
  grain day_part,
  audits (
    unique_values(columns := (from_hour, to_hour, day_part)),
    forall(criteria := (from_hour <= to_hour, from_hour >= 0, to_hour <= 23))
  )
);
