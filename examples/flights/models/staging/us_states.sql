-- The name and the census region behind each state's two letters.
MODEL (
  name staging.us_states,
  kind SEED (path '../../seeds/us_states.csv'),
  columns (state TEXT, state_name TEXT, region TEXT),
  grain state,
  audits (
    unique_values(columns := (state, state_name)),
    accepted_values(column := region, is_in := ('Northeast', 'Midwest', 'South', 'West', 'Territories'))
  )
);
