"""Agents that only a job of their kind makes: which are missing."""

from __future__ import annotations

from vertex_tuning.catalog import requirements
from vertex_tuning.catalog.requirements import Agent
from vertex_tuning.connection import Connection
from vertex_tuning.doctor.seeing import Project


def wanted(project: Project) -> list[Agent]:
    """Those that the settings ask something for."""
    named = {grant.to for grant in requirements.grants(project.configured)}
    return [agent for agent in requirements.agents().values() if agent.late and agent.name in named]


def exists(project: Project, agent: Agent) -> bool:
    """Whether it is there: Google gives it a role when it makes it, and nobody else can be given one."""
    member = agent.member(project.number)
    if any(project.policy(project.itself).of(member)):
        return True
    named = (
        project.resource(grant.on)
        for grant in requirements.grants(project.configured)
        if grant.to == agent.name
    )
    return any(any(project.policy(resource).of(member)) for resource in named if resource is not None)


def terraform_input(project: Project, *more: Agent) -> str:
    """What terraform/ is to be told of them: those that are there, and some more."""
    late = [agent for agent in requirements.agents().values() if agent.late]
    there = [agent for agent in late if agent in more or exists(project, agent)]
    if there == late:
        return "tuning_agents = { exist = true }"
    return f"tuning_agents = {{ {', '.join(f'{agent.input} = true' for agent in there)} }}"


def missing_agents(connection: Connection) -> list[Agent]:
    """Agents of Google's that the settings of a connection ask something for, and that do not exist yet.

    Raises:
        ServiceError: The project's policy may not be looked at.
    """
    project = Project(connection)
    policy = project.policy(project.itself)
    if policy.seen.trouble:
        from vertex_tuning.errors import ServiceError

        what = f"whether Google's agents exist cannot be seen: {policy.seen.words}"
        looks = project.unseen(project.itself.label, policy.seen, policies=True).cure.commands
        raise ServiceError("VT501", what, where=project.itself.label, fix="; ".join(looks))
    return [agent for agent in wanted(project) if not exists(project, agent)]
