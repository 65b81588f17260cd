-- Who may log in to the guest of a VM: [{name, sshKeys}].

alter table vms add column users jsonb not null default '[]'
  constraint vms_users_are_a_list check (jsonb_typeof(users) = 'array');

-- VMs are recorded by several functions, and few have users. Whoever records one that has says so
-- beforehand, in the same transaction: `berth.users` is {<VM id>: [{name, sshKeys}]}.
create function users_of_new_vm() returns trigger
language plpgsql as $$
begin
  new.users := coalesce(current_setting('berth.users')::jsonb -> new.id, new.users);
  return new;
end
$$;

create trigger vm_users before insert on vms for each row
when (coalesce(current_setting('berth.users', true), '') <> '')
execute function users_of_new_vm();
