-- Arithmetic on amounts per resource class: JSON objects of whole numbers, so that an operator's
-- own classes need no column. In PL/pgSQL, because a session keeps its plans.

-- amounts + sign * more, class by class; classes that come to 0 are left out.
create function amounts_add(amounts jsonb, more jsonb, sign integer) returns jsonb
language plpgsql immutable as $$
declare
  class text;
  amount text;
  total bigint;
begin
  for class, amount in select key, value from jsonb_each_text(more) loop
    total := coalesce((amounts ->> class)::bigint, 0) + sign * amount::bigint;
    amounts := case when total = 0 then amounts - class
      else jsonb_set(amounts, array[class], to_jsonb(total)) end;
  end loop;
  return amounts;
end
$$;

-- Whether no amount is negative.
create function amounts_are_counts(amounts jsonb) returns boolean
language plpgsql immutable as $$
declare
  amount text;
begin
  for amount in select value from jsonb_each_text(amounts) loop
    if amount::bigint < 0 then
      return false;
    end if;
  end loop;
  return true;
end
$$;
