-- Which VM moves to a room: asked for every room of a move that nobody has taken for a while.
create index vms_moving on vms (moving_to) where moving_to is not null;
