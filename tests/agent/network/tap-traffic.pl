# Plays the guest behind a TAP, or somebody who calls it, for tests of limits. Frames hold nothing.
#   send <tap> <source> <destination> <bytes per second> <seconds>   frames from the guest
#   receive <tap> <seconds> <address>   prints how many bytes came a second after the first second,
#                                       of frames to the guest's <address> alone
#   call <address> <bytes per second> <seconds>   datagrams to the guest
use strict;
use warnings;
use Socket;
use POSIX ();

my ($what, @args) = @ARGV;
my $FRAME = 1514;

# Seconds, in hundredths: finer clocks are not part of the smallest Perl.
sub now { return (POSIX::times())[0] / 100 }

sub open_tap {
    my ($name) = @_;
    open(my $tap, '+<', '/dev/net/tun') or die "/dev/net/tun: $!";
    # TUNSETIFF with IFF_TAP | IFF_NO_PI
    my $request = pack('a16 s x22', $name, 0x1002);
    ioctl($tap, 0x400454ca, $request) or die "$name: $!";
    return $tap;
}

# Calls $one so often that $rate bytes go in a second, in ticks of 2 ms.
sub at_rate {
    my ($rate, $seconds, $size, $one) = @_;
    my ($begin, $sent) = (now, 0);
    while ((my $passed = now() - $begin) < $seconds) {
        for (my $due = $rate * $passed; $sent < $due; $sent += $size) { $one->() }
        select(undef, undef, undef, 0.002);
    }
}

if ($what eq 'send') {
    my ($name, $from, $to, $rate, $seconds) = @args;
    my $tap = open_tap($name);
    my $frame = pack('H12 H12 n', $to =~ tr/://dr, $from =~ tr/://dr, 0x88b5) . "\0" x ($FRAME - 14);
    at_rate($rate, $seconds, $FRAME, sub { syswrite($tap, $frame) });
} elsif ($what eq 'receive') {
    my ($name, $seconds, $own) = @args;
    my $tap = open_tap($name);
    my $address = pack('H12', $own =~ tr/://dr);
    my ($begin, $bytes) = (now, 0);
    # A wait without end is cut by the alarm: a limit may let nothing through at all.
    $SIG{ALRM} = sub { printf "%d\n", $bytes / (now() - $begin - 1); exit 0 };
    alarm(int($seconds) + 1);
    while (1) {
        my $length = sysread($tap, my $frame, 65_600) or die "read: $!";
        $bytes += $length if now() - $begin >= 1 && substr($frame, 0, 6) eq $address;
    }
} elsif ($what eq 'call') {
    my ($address, $rate, $seconds) = @args;
    socket(my $out, PF_INET, SOCK_DGRAM, 0) or die "socket: $!";
    my $to = pack_sockaddr_in(9, inet_aton($address));
    my $datagram = "\0" x ($FRAME - 42);
    at_rate($rate, $seconds, $FRAME, sub { send($out, $datagram, 0, $to) });
} else {
    die "send, receive or call\n";
}
