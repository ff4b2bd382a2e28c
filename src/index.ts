/** Millrace for a Temporal worker and client. Workflow code imports `millrace/workflows` instead. */
import './dispose-symbols.ts'
export { connectionRegistry, type ConnectionRegistry } from './connections/registry.ts'
export { parseConnection, type ConnectionConfig } from './connections/config.ts'
export { MillraceError, ProjectError, formatError, type ErrorCode } from './errors.ts'
export type { BuildInput, BuildProgress, BuildReport, BuildSummary, ModelReport, PlanReport } from './payloads.ts'
export { MillracePlugin, type MillracePluginOptions } from './plugin.ts'
export { workflowBundlePath, workflowsPath } from './workflows-path.ts'
