// GIT-4: an object that is gone from the files, or that stood where nothing can be read any more. What that does depends on who applies them: kubectl leaves it where it is, Argo
// CD too unless it prunes.
import type { ArgoApplication } from './argo/application.ts'
import { applicationOf } from './argo/coverage.ts'
import type { KnownApplication } from './argo/coverage.ts'
import { deletesWhatGoes } from './argo/deleting_rules.ts'
import { isKeptBy } from './argo/judge_argo.ts'
import { changeFindings } from './object_change.ts'
import type { ReviewCase } from './object_change.ts'
import { findingAt } from './review_finding.ts'
import type { ReviewFinding, Severity } from './review_finding.ts'
import { annotationsOf } from './subject.ts'
import type { ReviewedObject } from './reviewed_object.ts'

export function goneFindings(old: ReviewedObject, subject: ReviewCase): readonly ReviewFinding[] {
  if (subject.unreadable.has(old.within))
    return [gone(old, 'notice', NOT_READ, 'mend the file, and it is judged')]
  const application =
    applicationOf(old, subject.applications) ?? applicationOf(old, subject.formerApplications)
  const isKept = isKeptBy(annotationsOf(old))
  const deleted = changeFindings(old, undefined, subject)
  const states = statesOf(old, subject)
  if (subject.isPruned || (states.after.some(deletesWhatGoes) && !isKept)) return deleted
  const pruning = isKept ? undefined : states.before.find(deletesWhatGoes)
  if (pruning !== undefined) return deleted.map((finding) => beforeItIsChanged(finding, pruning))
  const denials = deleted.filter(({ severity }) => severity === 'deny')
  const refused = denials.map(({ rule, message }) => `${rule}: ${message}`).join('; ')
  if (application === undefined) {
    const ifDeleted = refused === '' ? '' : `; where it does, the webhook refuses: ${refused}`
    const message = `gone from the files; whether anybody deletes it depends on who applies them (kubectl apply does not)${ifDeleted}`
    return [gone(old, 'notice', message, 'say who applies them: --application FILE, or --prune')]
  }
  const name = `${application.object.kind} ${application.object.name}`
  const message = `gone from the files, and ${name} does not prune: it stays in the cluster with all its versions, and the Application is OutOfSync until somebody deletes it there${refused === '' ? '' : ` (which the webhook refuses: ${refused})`}`
  return [gone(old, refused === '' ? 'notice' : 'warn', message, refused === '' ? '' : 'bring the file back')]
}

type States = { readonly before: readonly ArgoApplication[]; readonly after: readonly ArgoApplication[] }

/** The new commit is synced by the former Application until the new one is in the cluster: both do to the object what they do. */
function statesOf(old: ReviewedObject, { applications, formerApplications }: ReviewCase): States {
  const [former, present] = [applicationOf(old, formerApplications), applicationOf(old, applications)]
  const keys = new Set([former, present].map((application) => application?.object.key))
  const isOne = ({ application }: KnownApplication): boolean => keys.has(application.object.key)
  // What it did not apply it does not delete.
  const before = formerApplications.filter(
    (known) => isOne(known) && applicationOf(old, [known]) !== undefined,
  )
  return { before: before.map(applicationAt), after: applications.filter(isOne).map(applicationAt) }
}

function applicationAt({ application }: KnownApplication): ArgoApplication {
  return application
}

function beforeItIsChanged(finding: ReviewFinding, { object }: ArgoApplication): ReviewFinding {
  const message = `${finding.message} (the cluster still has the former ${object.kind} ${object.name}, which prunes: prune: false comes first, in a change of its own)`
  return { ...finding, message }
}

const NOT_READ = 'stood in this file, which cannot be read any more: what becomes of it is not judged'

function gone(old: ReviewedObject, severity: Severity, message: string, wayOut: string): ReviewFinding {
  return findingAt('GIT-4', { severity, path: '', message, wayOut }, old, undefined, old.placeOf([]))
}
