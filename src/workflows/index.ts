/** The workflows of Millrace; a worker's own workflow module re-exports them. Safe in the workflow sandbox. */
export { buildProject } from './build-project.ts'
export {
  pauseUpdate,
  resumeUpdate,
  retryModelUpdate,
  setFailFastUpdate,
  setParallelUpdate,
  skipModelUpdate,
} from './controls.ts'
export { progressQuery } from './progress.ts'
export { auditEnvironment, evaluate, planPreview, readBuildReport } from './inspect.ts'
