// ARGO-1, 2, 11, 12: what deletes Modules. A deleted Module takes every version of it along, archives and checksums; where the
// webhook refuses, the Application fails or hangs.
import { ownField } from '#core/own_field.ts'
import type { ArgoApplication } from './application.ts'
import type { ArgoRule, ArgoSaid } from './argo_context.ts'

const FINALIZER = 'resources-finalizer.argocd.argoproj.io'

/** What is not among its manifests any more is deleted with the next sync. */
export function deletesWhatGoes({ automated }: Pick<ArgoApplication, 'automated'>): boolean {
  return automated.isOn && automated.prune
}

export const prunes: ArgoRule = ({ application }) => {
  const { prefix } = application
  if (!deletesWhatGoes(application)) return []
  return [
    {
      rule: 'ARGO-1',
      severity: 'deny',
      path: `${prefix}spec.syncPolicy.automated.prune`,
      message:
        'a Module whose file leaves git is deleted with every version that it published; where that is denied, the sync fails and self-healing stops until the next commit',
      wayOut: 'write prune: false; what is to go is unpublished on purpose, then removed from git',
    },
  ]
}

export const allowsNothing: ArgoRule = ({ application }) => {
  const { automated, prefix } = application
  if (!automated.allowEmpty) return []
  const path = `${prefix}spec.syncPolicy.automated.allowEmpty`
  const isDeleting = deletesWhatGoes(application)
  return [
    {
      rule: 'ARGO-2',
      severity: isDeleting ? 'deny' : 'warn',
      path,
      message: isDeleting
        ? 'a path that renders to nothing (a wrong path, an empty folder) deletes every Module at once'
        : 'a path that renders to nothing counts as wanted, and the first sync with pruning deletes every Module',
      wayOut: 'take allowEmpty out',
    },
  ]
}

export const takesAlong: ArgoRule = ({ application }) => {
  const { finalizers, prefix, object } = application
  const index = finalizers.findIndex((finalizer) => finalizer.split('/', 1)[0] === FINALIZER)
  if (index === -1) return preserving(application)
  return [
    {
      rule: 'ARGO-11',
      severity: 'warn',
      path: `${prefix}metadata.finalizers[${index}]`,
      message: `whoever deletes ${object.kind} ${object.name} deletes every Module that it applies; where that is denied, it stays with a deletionTimestamp and a DeletionError`,
      wayOut: `take ${FINALIZER} out of metadata.finalizers: the Modules then stay when the Application goes`,
    },
  ]
}

/** The ApplicationSet's controller adds the finalizer of itself. */
function preserving({ object }: ArgoApplication): readonly ArgoSaid[] {
  if (object.resource !== 'applicationsets' || isPreserving(object.data)) return []
  return [
    {
      rule: 'ARGO-11',
      severity: 'warn',
      path: 'spec.syncPolicy',
      message:
        'an element that leaves the generator, or the ApplicationSet itself, takes its Application and every Module of it along',
      wayOut: 'write spec.syncPolicy.preserveResourcesOnDeletion: true',
    },
  ]
}

function isPreserving(data: Readonly<Record<string, unknown>>): boolean {
  const policy = ownField(ownField(data, 'spec'), 'syncPolicy')
  return ownField(policy, 'preserveResourcesOnDeletion') === true
}

/** Of an Application that is gone from the files. */
export function deletedApplication(application: ArgoApplication): readonly ArgoSaid[] {
  const isTaking = takesAlong({ application, modules: [], listType: undefined }).length > 0
  if (!isTaking) return []
  const { object } = application
  return [
    {
      rule: 'ARGO-12',
      severity: 'warn',
      path: '',
      message: `${object.kind} ${object.name} is gone from the files and takes its Modules along where somebody deletes it in the cluster`,
      wayOut:
        'take the finalizer out first, in a change of its own, and delete the Application when that is synced',
    },
  ]
}
