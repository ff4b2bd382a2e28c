/** The names of MODEL properties. */
import { kindsWithOption } from './kinds.ts'
import type { PropertyNames } from './properties.ts'

/** Properties whose variables are replaced when a step runs, not at load. */
export const RUNTIME_PROPERTIES: ReadonlySet<string> = new Set([
  'audits',
  'signals',
  'physical_properties',
  'table_properties',
  'virtual_properties',
  'session_properties',
])

/** Read by others or by engines other than DuckDB; accepted, without effect. */
const WITHOUT_EFFECT = ['project', 'retention', 'grants', 'grants_target_layer']

export const MODEL_PROPERTIES: PropertyNames = {
  what: 'MODEL property',
  known: [
    'name',
    'kind',
    'cron',
    'cron_tz',
    'interval_unit',
    'start',
    'end',
    'allow_partials',
    'columns',
    'column_descriptions',
    'description',
    'owner',
    'tags',
    'stamp',
    'depends_on',
    'grain',
    'grains',
    'references',
    'audits',
    'signals',
    'partitioned_by',
    'clustered_by',
    'storage_format',
    'table_format',
    'physical_properties',
    'virtual_properties',
    'session_properties',
    'table_properties',
    'physical_version',
    'gateway',
    'enabled',
    'formatting',
    'ignored_rules',
    'optimize_query',
    'virtual_environment_mode',
    'dialect',
    'blueprints',
    ...WITHOUT_EFFECT,
  ],
  explain(key) {
    if (key === 'default_catalog')
      return 'the default catalog is that of the gateway; write it into the name: catalog.schema.model'
    const kinds = kindsWithOption(key)
    return kinds.length === 0 ? null : `It is an option of kind ${kinds.join(', ')}: write kind NAME (${key} …)`
  },
}
