// Which step of a request is under way, told by the pipeline itself, so that whoever looks at a slow or a refused one sees where.
import type { Step } from './audit_event.ts'

export type StepTrace = {
  /** The step before is over. */
  enter(step: Step | 'audit'): void
}

export const NO_STEP_TRACE: StepTrace = { enter: () => undefined }
